//! Clients that come back to the endpoint that they were given first.
