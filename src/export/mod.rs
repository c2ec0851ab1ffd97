//! Streams prompts, demonstrations, rankings and comparisons out as JSONL, CSV and Parquet.
