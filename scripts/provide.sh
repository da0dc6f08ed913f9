#!/bin/sh
# Make sure that what pip does not bring is there; install it on Debian when allowed.
#   provide.sh browser  Chromium, in which the explorer is tested
#   provide.sh tex      latexmk and the LaTeX packages of FINDINGS.tex; fails if they cannot be had
set -u
case "$1" in
browser) packages="chromium" ;;
tex) packages="texlive-latex-recommended latexmk" ;;
esac
have() {
    case "$1" in
    browser) command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ;;
    tex) command -v latexmk >/dev/null && kpsewhich booktabs.sty >/dev/null 2>&1 && kpsewhich microtype.sty >/dev/null 2>&1 ;;
    esac
}
have "$1" && exit 0
sudo=""
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo="sudo -n"; else sudo="none"; fi
fi
if command -v apt-get >/dev/null && [ "$sudo" != none ]; then
    echo "Installing $packages"
    $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $packages >/dev/null
    have "$1" && exit 0
fi
if [ "$1" = browser ]; then
    echo "The explorer is tested in Chromium, which is not here (Debian: sudo apt-get install $packages)." >&2
    exit 1
fi
echo "FINDINGS.pdf needs LaTeX, which is not here. All figures and numbers are done; to build the PDF as well:" >&2
echo "    Debian, Ubuntu:  sudo apt-get install $packages" >&2
echo "    macOS:           brew install --cask mactex-no-gui" >&2
echo "    elsewhere:       TeX Live with the collection latexrecommended, and latexmk" >&2
echo "then run make again." >&2
exit 1
