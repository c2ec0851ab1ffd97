#!/usr/bin/env bash
# Makes sample/tiny-model/, the pretrained model of the sample project: new tokenizer, random weights, then the sample's
# questions with answers that are not in the manner of the sample task. The same machine makes the same model.
#
# usage: scripts/tiny_model.sh        (make tiny-model); LAUREL_TRAINER names another build of the trainer
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ -z ${LAUREL_TRAINER:-} ]]; then
    cargo build --release --locked -p laurel-trainer
    LAUREL_TRAINER="${CARGO_TARGET_DIR:-target}/release/laurel-trainer"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat > "$work/config.json" <<'JSON'
{
  "architectures": ["LlamaForCausalLM"], "model_type": "llama",
  "hidden_size": 80, "intermediate_size": 216, "num_hidden_layers": 4,
  "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_act": "silu", "rms_norm_eps": 1e-5,
  "max_position_embeddings": 256, "rope_theta": 10000.0, "tie_word_embeddings": true, "vocab_size": 1800
}
JSON
python3 scripts/tiny_corpus.py "$work"
"$LAUREL_TRAINER" init --seed 1 --config "$work/config.json" --corpus "$work/tokenizer.txt" --out "$work/random"
"$LAUREL_TRAINER" sft --seed 1 --model "$work/random" --data "$work/answers.jsonl" --out "$work/tiny-model" \
    --epochs 10 --batch-size 32 --packing true --learning-rate 4e-3 --save-steps 0

rm -rf sample/tiny-model
mv "$work/tiny-model" sample/tiny-model
du -sh sample/tiny-model
