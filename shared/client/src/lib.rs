//! What a service needs to call others and to be called: a client and a tower layer.
