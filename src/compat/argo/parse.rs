//! The small part of expr-lang that conditions on numbers need, as a tree.

use crate::error::{Error, ErrorKind};

/// Longer conditions are refused: what stands one after the other nests in the tree.
const LONGEST: usize = 1024;
/// Deeper parentheses are refused.
const DEEPEST: usize = 32;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Result,
    Number(f64),
    Bool(bool),
    Nil,
    Not(Box<Expression>),
    Negative(Box<Expression>),
    /// An element; a negative place counts from the end.
    Index(Box<Expression>, i64),
    Call(Function, Vec<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Len,
    IsNan,
    IsInf,
    IsNil,
    Default,
}

impl Function {
    fn named(name: &str) -> Option<(Function, usize)> {
        Some(match name {
            "len" => (Function::Len, 1),
            "isNaN" => (Function::IsNan, 1),
            "isInf" => (Function::IsInf, 1),
            "isNil" => (Function::IsNil, 1),
            "default" => (Function::Default, 2),
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Operator {
    fn written(token: &Token) -> Option<(Operator, u8)> {
        Some(match token {
            Token::Word("or") | Token::Sign("||") => (Operator::Or, 1),
            Token::Word("and") | Token::Sign("&&") => (Operator::And, 2),
            Token::Sign("==") => (Operator::Equal, 3),
            Token::Sign("!=") => (Operator::NotEqual, 3),
            Token::Sign("<") => (Operator::Less, 3),
            Token::Sign("<=") => (Operator::LessOrEqual, 3),
            Token::Sign(">") => (Operator::Greater, 3),
            Token::Sign(">=") => (Operator::GreaterOrEqual, 3),
            Token::Sign("+") => (Operator::Add, 4),
            Token::Sign("-") => (Operator::Subtract, 4),
            Token::Sign("*") => (Operator::Multiply, 5),
            Token::Sign("/") => (Operator::Divide, 5),
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Number(f64),
    Word(&'a str),
    Sign(&'a str),
    End,
}

/// Longer signs before those that they begin with.
const SIGNS: [&str; 18] =
    ["||", "&&", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "!", "(", ")", "[", "]", ","];

pub(super) fn parse(text: &str) -> Result<Expression, Error> {
    if text.len() > LONGEST {
        let message = format!("{} bytes, more than {LONGEST}", text.len());
        return Err(Error::new(ErrorKind::Syntax, message).at("condition"));
    }
    let mut parser = Parser { text, rest: text, token: Token::End, depth: 0 };
    parser.advance()?;
    let expression = parser.binary(1)?;
    match parser.token {
        Token::End => Ok(expression),
        _ => Err(parser.wrong("unexpected text")),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// What follows the token.
    rest: &'a str,
    token: Token<'a>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn wrong(&self, what: &str) -> Error {
        let before = self.text.len().saturating_sub(self.rest.len());
        let message = format!("{what}, before byte {before} of {:?}", self.text);
        Error::new(ErrorKind::Syntax, message).at("condition")
    }

    fn advance(&mut self) -> Result<(), Error> {
        let rest = self.rest.trim_start();
        let while_of = |of: fn(char) -> bool| rest.find(|c: char| !of(c)).unwrap_or(rest.len());
        let (token, length) = match rest.chars().next() {
            None => (Token::End, 0),
            Some(c) if c.is_ascii_digit() || c == '.' => {
                let length = number_length(rest);
                let number = rest.get(..length).and_then(|text| text.parse().ok());
                let Some(number) = number.filter(|number: &f64| number.is_finite()) else {
                    return Err(self.wrong("not a number"));
                };
                (Token::Number(number), length)
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let length = while_of(|c| c.is_ascii_alphanumeric() || c == '_');
                (Token::Word(rest.get(..length).unwrap_or("")), length)
            }
            Some(_) => match SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
                Some(sign) => (Token::Sign(sign), sign.len()),
                None => return Err(self.wrong("no part of the conditions that are read here")),
            },
        };
        self.rest = rest.get(length..).unwrap_or("");
        self.token = token;
        Ok(())
    }

    fn take(&mut self, sign: &str) -> Result<bool, Error> {
        let found = self.token == Token::Sign(sign);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn need(&mut self, sign: &str) -> Result<(), Error> {
        if self.take(sign)? { Ok(()) } else { Err(self.wrong(&format!("expected {sign:?}"))) }
    }

    /// One level deeper, for as long as `inner` reads.
    fn deeper(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<Expression, Error>,
    ) -> Result<Expression, Error> {
        if self.depth == DEEPEST {
            return Err(self.wrong("nested too deeply"));
        }
        self.depth += 1;
        let expression = inner(self);
        self.depth -= 1;
        expression
    }

    /// What is joined by operators that bind at least so tightly, from the left to the right.
    fn binary(&mut self, tightness: u8) -> Result<Expression, Error> {
        let mut left = self.unary()?;
        while let Some((operator, own)) = Operator::written(&self.token).filter(|(_, own)| *own >= tightness)
        {
            self.advance()?;
            let right = self.deeper(|parser| parser.binary(own + 1))?;
            left = Expression::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, Error> {
        if matches!(self.token, Token::Sign("!") | Token::Word("not")) {
            self.advance()?;
            return Ok(Expression::Not(Box::new(self.deeper(Parser::unary)?)));
        }
        if self.take("-")? {
            return Ok(Expression::Negative(Box::new(self.deeper(Parser::unary)?)));
        }
        let mut expression = self.primary()?;
        let mut indices = 0;
        while self.take("[")? {
            let negative = self.take("-")?;
            let Token::Number(place) = self.token else { return Err(self.wrong("expected a place")) };
            let place = whole(place).ok_or_else(|| self.wrong("expected a whole number"))?;
            self.advance()?;
            self.need("]")?;
            expression = Expression::Index(Box::new(expression), if negative { -place } else { place });
            indices += 1;
            if indices > DEEPEST {
                return Err(self.wrong("nested too deeply"));
            }
        }
        Ok(expression)
    }

    fn primary(&mut self) -> Result<Expression, Error> {
        let token = self.token;
        match token {
            Token::Number(number) => {
                self.advance()?;
                Ok(Expression::Number(number))
            }
            Token::Sign("(") => {
                self.advance()?;
                let inner = self.deeper(|parser| parser.binary(1))?;
                self.need(")")?;
                Ok(inner)
            }
            Token::Word(word) => {
                let simple = match word {
                    "result" => Some(Expression::Result),
                    "true" => Some(Expression::Bool(true)),
                    "false" => Some(Expression::Bool(false)),
                    "nil" => Some(Expression::Nil),
                    _ => None,
                };
                if let Some(simple) = simple {
                    self.advance()?;
                    return Ok(simple);
                }
                let Some((function, arity)) = Function::named(word) else {
                    return Err(self.wrong(&format!("{word:?} is not read here")));
                };
                self.advance()?;
                self.need("(")?;
                let mut arguments = vec![self.deeper(|parser| parser.binary(1))?];
                while arguments.len() < arity {
                    self.need(",")?;
                    arguments.push(self.deeper(|parser| parser.binary(1))?);
                }
                self.need(")")?;
                Ok(Expression::Call(function, arguments))
            }
            Token::Sign(_) | Token::End => Err(self.wrong("expected a value")),
        }
    }
}

/// Digits, a point, digits, an exponent.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    let mut end = 0;
    while digit(end) || bytes.get(end) == Some(&b'.') {
        end += 1;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
        let mut exponent = end + 1 + usize::from(signed);
        if digit(exponent) {
            while digit(exponent) {
                exponent += 1;
            }
            end = exponent;
        }
    }
    end
}

/// A place in a list.
fn whole(number: f64) -> Option<i64> {
    // Exact up to 2^53, and no list is longer.
    ((0.0..=9e15).contains(&number) && number == libm::trunc(number)).then_some(number as i64)
}
