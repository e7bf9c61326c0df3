"""The store on Redis or Valkey: keys, codec, scripts, and the adapter of each part of the port."""
