"""The terminal app: asks, runs each check live, shows the verdict. Nothing else imports `textual`.

What a screen says (`state`, `rows`, `chain`, `detail`, `tables`, `triage`) is plain functions without a widget; what
runs (`run`, `live`, `played`) is threads without a widget; `screens` and `widgets` put the two together.
"""
