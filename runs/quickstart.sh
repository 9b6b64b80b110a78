#!/usr/bin/env bash
# All stages in order, in minutes, on a CPU: simulate, rebin, train, export, generate, look. The model is of the kind
# that ships as fast, from a few showers: as good as their statistics allow. At the end the shipped model, which has
# learned from thousands, makes showers of the same energies.
# Another run replaces the results. Needs Geant4's data (GEANT4_DATA_DIR); caloforge simulate says how to get them.
set -euo pipefail
folder=${1:-quickstart}
mkdir -p "$folder"
cd "$folder"
caloforge simulate calogan_fine --particle e+ --energy 1:10 -n 200 -o fine.h5 --workers 2
caloforge simulate calogan_fine --particle e+ --energy 1:10 -n 100 -o fine_held_out.h5 --workers 2 --seed 1
caloforge rebin fine.h5 calogan -o geant4.h5 --overwrite
caloforge rebin fine_held_out.h5 calogan -o held_out.h5 --overwrite
caloforge info geant4.h5
caloforge train copula --data geant4.h5 -o training --batch 40 --held-out 40 --validate-every 50 \
    --set 'energy_range=[1.0, 10.0]' --set steps=200 --set settled=0.3
caloforge export training -o eplus.onnx --reference held_out.h5 --overwrite
caloforge generate --model eplus.json --particle e+ --energy 1:10 -n 1000 -o generated.h5 --overwrite
caloforge show generated.h5 --reference held_out.h5 -o pictures.pdf --overwrite
caloforge generate --particle e+ --energy held_out.h5 -o shipped.h5 --overwrite
caloforge show shipped.h5 --reference held_out.h5 -o shipped.pdf --overwrite
