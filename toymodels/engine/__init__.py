"""The compiled loops: plain arrays in and out, no checks, only the package imports them.

compiled      how loops are compiled
series        the exact loss of a ReLU model and its gradient, as a Fourier series
closed        the same without a series, for few features
linear        the same for a linear model, from moments
mixture       the same for data with states: a sum over independent features
lbfgs         L-BFGS on these losses, each model to convergence on its own
batches       the loss on a batch that is drawn as it goes
draws         random numbers inside compiled loops
hidden        models with a hidden ReLU: loss and gradient on rows
autoencoders  sparse autoencoders: the same
adam          one step of Adam
kernel        a compiled loss on tensors, and as a differentiable PyTorch function
threads       long calls divided over threads by instance

The face of the package derives, checks and explains; every loop here has an oracle there in plain PyTorch.
"""
