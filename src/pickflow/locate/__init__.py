"""Where and when: local frames, observed and predicted arrivals, and the origins that fit them."""
