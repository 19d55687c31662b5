//! The laws that every judgement keeps (DESIGN.md, "Which laws hold?"), as property tests. Each test prints how often each
//! verdict and reason occurred, and fails if one that it is about occurred too seldom to mean anything.

mod fuzz;
mod intervals;
mod judge;
mod limits;
mod methods;
mod ranks;
mod world;
