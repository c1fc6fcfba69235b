"""Tell the causes of cuFFT's failures apart."""
