#!/bin/sh
# Make sure that latexmk and the LaTeX packages of FINDINGS.tex are there; install them on Debian when allowed.
set -u
packages="texlive-latex-recommended latexmk"
have() { command -v latexmk >/dev/null && kpsewhich booktabs.sty >/dev/null 2>&1 && kpsewhich microtype.sty >/dev/null 2>&1; }
have && exit 0
sudo=""
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo="sudo -n"; else sudo="none"; fi
fi
if command -v apt-get >/dev/null && [ "$sudo" != none ]; then
    echo "Installing TeX: $packages"
    $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $packages >/dev/null
    have && exit 0
fi
echo "FINDINGS.pdf needs LaTeX, which is not here. All figures and numbers are done; to build the PDF as well:" >&2
echo "    Debian, Ubuntu:  sudo apt-get install $packages" >&2
echo "    macOS:           brew install --cask mactex-no-gui" >&2
echo "    elsewhere:       TeX Live with the collection latexrecommended, and latexmk" >&2
echo "then run make again." >&2
exit 1
