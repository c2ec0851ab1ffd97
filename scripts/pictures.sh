#!/usr/bin/env bash
# Takes the pictures of docs/ again, from the pages as they are: the accessibility test opens each page and leaves its picture.
#
# usage: scripts/pictures.sh        (or `make pictures`)
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/sample_data.py --only axe
cargo test --locked -p laurel --test accessibility

take() { cp "screenshots/pages/wide-en-light/$1.png" "docs/images/$2.png"; }
take task-ranking-leased ranking
take task-comparison-leased comparison
take task-demonstration-leased demonstration
take chat-choice chat
take admin-projects-slug-quality quality
ls -l docs/images
