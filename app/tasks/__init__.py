"""What the model is asked, and what makes an answer right."""
