"""What a client may send: strict models that refuse unknown fields, wrong types, numbers not finite.

Only the shape is checked here; what a value means is the model's to judge.
"""
