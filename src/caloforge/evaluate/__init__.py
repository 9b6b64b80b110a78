"""One evaluation for all generators: how far are generated showers from a reference, and with what certainty?"""
