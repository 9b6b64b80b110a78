#!/usr/bin/env bash
# Makes every figure of docs/arm.md: trains the geometry-aware autoregressive model on the eight read-outs of its
# paper, and compares it with held-out Geant4 showers on these and on read-outs that it never saw.
# Files in the folder are kept, so that a stopped run continues. Needs Geant4's data, and hours.
set -euo pipefail
read_outs=$(cd "$(dirname "$0")/../docs/read_outs" && pwd)
folder=${1:-arm}
mkdir -p "$folder"
cd "$folder"
seen=(arm_{192x12_36x48,192x24_48x24,192x48_48x48,192x4_12x12,48x12_12x12,48x24_48x24,48x48_48x48,48x4_36x48})
simulate() { # geometry, number, seed, name
    [ -e "$4.h5" ] || caloforge simulate "$1" -p gamma --energy 65 -n "$2" --seed "$3" -o "$4.h5" --workers 2
}
simulate calogan_fine "${SHOWERS:-10000}" 33 learned
simulate calogan_fine "${HELD_OUT:-2000}" 43 geant4
if [ ! -e arm_gamma.onnx ]; then
    caloforge train arm --data learned.h5 "${seen[@]/#/--geometry=}" --batch 128 --validate-every 400 -o training
    caloforge export training -o arm_gamma.onnx
fi
compare() { # read-out, its file or name
    if [ ! -e "geant4_$1.h5" ]; then
        caloforge rebin geant4.h5 "$2" -o "geant4_$1.h5" ||
            caloforge simulate "$2" -p gamma --energy 65 -n "${HELD_OUT:-2000}" --seed 44 -o "geant4_$1.h5" --workers 2
    fi
    [ -e "generated_$1.h5" ] ||
        caloforge generate --model arm_gamma.json -p gamma --energy "geant4_$1.h5" --geometry "$2" --seed 5 \
            -o "generated_$1.h5"
    [ -e "report_$1/metrics.json" ] || caloforge evaluate "geant4_$1.h5" "generated_$1.h5" -o "report_$1"
}
for name in "${seen[@]}"; do compare "$name" "$name"; done
for file in "$read_outs"/arm_*.toml; do compare "$(basename "$file" .toml)" "$file"; done
python "$(dirname "$read_outs")/../runs/arm_table.py" report_arm_* | tee table.md
