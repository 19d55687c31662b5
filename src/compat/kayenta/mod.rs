//! What Kayenta's judge NetflixACA says of given arrays.
