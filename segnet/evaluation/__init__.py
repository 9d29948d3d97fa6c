"""Logits to labels and scores: inference, metrics, evaluating, predicting."""
