"""What kernel templates are written with: the builder of TIR, vector code, and the vector ISA that targets provide."""
