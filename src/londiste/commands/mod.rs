//! The commands of an operator, one file for each family of commands. Replay and copies use none of these files.

mod bars;
mod catch_up;
pub(super) mod command;
pub(super) mod copy;
pub(super) mod install;
pub(super) mod lag;
mod listing;
mod pace;
pub(super) mod position;
pub(super) mod provider;
mod put_aside;
mod registration;
pub(super) mod replay;
mod selection;
pub(super) mod seqs;
mod skip_event;
pub(super) mod status;
pub(super) mod structure;
mod subscribe;
pub(super) mod subscriber;
pub(crate) mod verified;
mod wait;
pub(crate) mod way_back;
