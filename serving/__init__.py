"""Files scored, exports, label banks, adaptation and explanation: a trained checkpoint at work."""
