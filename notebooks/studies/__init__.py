"""Procedures and figures of single notebooks, side by side: X.py computes, X_figures.py draws what it finds.

They are imported from notebooks/, where notebooks run, and are not installed with the package.

superposition                        02  figures of WᵀW, norms, and what becomes of each feature
diagrams, landscape, basins          03  phase diagrams by several rules (12 too), where phases meet, where starts end
canonical, transitions, descents     03, 05  written-down solutions, jumps along a line, starts brought to minima
geometry, staircase, large           04  graphs of features, what each shape saves, large uniform models
sets, local_bases                    05  pairs and triples of features, one feature perturbed, correlated sets
dynamics, octahedron                 06  jumps during training, two sets of three features
attacks, vulnerability               07  adversarial attacks, by density too, and training against them
neurons, codes                       08  models with hidden neurons (09 too), sets of neurons as codes of features
absolute                             09  models that compute absolute values
conditions                           10  where starts end under other conditions of training
nulls                                11  networks to compare a trained one with
earlier                              12  an earlier replication, by its own procedure
dictionaries                         13  lowest sparse autoencoders, and from which penalty the true one is it
report, intervals, tables            all what leaves a notebook; shares of starts with their intervals; tables in colour
"""
