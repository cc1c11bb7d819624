//! A filter of system calls in the form that the kernel reads: `struct sock_filter` of
//! `linux/filter.h`, run on `struct seccomp_data` of `linux/seccomp.h`.

use libc::c_long;
use std::fmt::Write as _;

/// The processor whose system calls the numbers mean (`linux/audit.h`).
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

/// The instructions that are used (`linux/bpf_common.h`).
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP_IF_BITS: u16 = 0x45;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;

/// The places of `struct seccomp_data`. The lower half of an argument comes first.
const NUMBER: u32 = 0;
const ARCHITECTURE_OF_CALL: u32 = 4;
const ARGUMENTS: u32 = 16;

/// The outcome of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The system call is made.
    Allow,
    /// The system call fails with this error.
    Refuse(i32),
    /// The supervisor answers it.
    Notify,
}

/// A condition of the lower 32 bits of an argument, which is counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The argument has one of these bits.
    AnyBit(u32, u32),
    /// The argument has all of these bits.
    AllBits(u32, u32),
    /// The argument is one of these values.
    OneOf(u32, Vec<u32>),
    /// The argument is none of these values.
    NoneOf(u32, Vec<u32>),
}

/// A filter that is being written. System calls that it does not name are allowed.
pub struct Program(Vec<Instruction>);

struct Instruction {
    code: u16,
    /// The instructions that are skipped if a condition holds, and if it does not.
    skip: (u8, u8),
    operand: u32,
}

impl Program {
    /// Returns a filter that treats calls of other processors' numbering, and those from the number
    /// `first_unknown` on, in this way.
    pub fn new(first_unknown: u32, action: Action) -> Self {
        let mut program = Self(Vec::new());
        program.push(LOAD, (0, 0), ARCHITECTURE_OF_CALL);
        program.push(JUMP_IF_EQUAL, (1, 0), ARCHITECTURE);
        program.push_return(action);
        program.push(LOAD, (0, 0), NUMBER);
        // The calls of x32 are among them: their numbers have bit 30.
        program.push(JUMP_IF_AT_LEAST, (0, 1), first_unknown);
        program.push_return(action);
        program
    }

    /// Adds a call that is treated in this way.
    pub fn add(&mut self, number: c_long, action: Action) {
        self.push(JUMP_IF_EQUAL, (0, 1), low_half(number));
        self.push_return(action);
    }

    /// Adds a call that is treated in this way if one of the conditions holds.
    pub fn add_if(&mut self, number: c_long, conditions: &[Condition], action: Action) {
        let mut inner = Self(Vec::new());
        for condition in conditions {
            inner.push_condition(condition, action);
        }
        inner.push_return(Action::Allow);
        let length = u8::try_from(inner.0.len()).unwrap_or(u8::MAX);
        self.push(JUMP_IF_EQUAL, (0, length), low_half(number));
        self.0.append(&mut inner.0);
    }

    fn push_condition(&mut self, condition: &Condition, action: Action) {
        let (Condition::AnyBit(argument, _)
        | Condition::AllBits(argument, _)
        | Condition::OneOf(argument, _)
        | Condition::NoneOf(argument, _)) = condition;
        self.push(LOAD, (0, 0), ARGUMENTS + 8 * argument);
        match condition {
            Condition::AnyBit(_, bits) => {
                self.push(JUMP_IF_BITS, (0, 1), *bits);
                self.push_return(action);
            }
            Condition::AllBits(_, bits) => {
                self.push(AND, (0, 0), *bits);
                self.push(JUMP_IF_EQUAL, (0, 1), *bits);
                self.push_return(action);
            }
            Condition::OneOf(_, values) => {
                for value in values {
                    self.push(JUMP_IF_EQUAL, (0, 1), *value);
                    self.push_return(action);
                }
            }
            Condition::NoneOf(_, values) => {
                for (place, value) in values.iter().enumerate() {
                    // Past the other values, and past the return.
                    let rest = u8::try_from(values.len() - place).unwrap_or(u8::MAX);
                    self.push(JUMP_IF_EQUAL, (rest, 0), *value);
                }
                self.push_return(action);
            }
        }
    }

    /// Returns the filter as hexadecimal digits of the bytes that the kernel reads.
    pub fn finish(mut self) -> String {
        self.push_return(Action::Allow);
        let mut digits = String::new();
        for Instruction { code, skip: (holds, fails), operand } in self.0 {
            let [low, high] = code.to_ne_bytes();
            for byte in [low, high, holds, fails].into_iter().chain(operand.to_ne_bytes()) {
                // Writing to a text cannot fail.
                _ = write!(digits, "{byte:02x}");
            }
        }
        digits
    }

    fn push_return(&mut self, action: Action) {
        let value = match action {
            Action::Allow => 0x7fff_0000,
            Action::Refuse(error) => 0x0005_0000 | error.unsigned_abs(),
            Action::Notify => 0x7fc0_0000,
        };
        self.push(RETURN, (0, 0), value);
    }

    fn push(&mut self, code: u16, skip: (u8, u8), operand: u32) {
        self.0.push(Instruction { code, skip, operand });
    }
}

/// Returns the number of a call as the kernel has it.
fn low_half(number: c_long) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
