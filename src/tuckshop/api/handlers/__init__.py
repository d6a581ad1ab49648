"""What each route does: read the call, ask one service, hand its answer on. No rules live here."""
