"""What training needs beside the loop: its arguments, batches, validation and saved states."""
