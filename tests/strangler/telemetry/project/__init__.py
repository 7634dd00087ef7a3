"""The weaver's shop of the events' tests, with a door: a request announces a price, a handler hears of it."""
