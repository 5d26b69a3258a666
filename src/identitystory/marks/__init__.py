"""What every file that we write says of itself to anybody: a trained algorithm made this."""
