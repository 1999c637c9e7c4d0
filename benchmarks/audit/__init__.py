"""Bias and robustness: does a score change when only who feels, or only how it is written, changes?"""
