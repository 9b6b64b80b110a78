"""One evaluation for all generators: how far are generated showers from a reference, and how sure is that?"""
