"""News feeds: subscriptions, articles, and the stance of their sentences over time (`stance feeds`)."""
