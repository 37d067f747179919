"""What is judged, by which rubric, with what result, and which steps of an interview follow from it."""
