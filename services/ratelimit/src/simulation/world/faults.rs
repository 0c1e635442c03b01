//! What goes wrong, and for how long.

use super::super::replica::Replica;
use super::super::stores::Data;
use super::{End, Event, REPLICAS, START_MS, World};

const FAULTS: [&str; 10] = [
    "a replica is killed",
    "a replica stops for a while",
    "Redis restarts empty",
    "Redis restarts empty twice",
    "Redis will restart from a file of now",
    "Redis will fail over to a replica that has what it had now",
    "Redis is away",
    "PostgreSQL is away",
    "Redis' clock jumps",
    "a replica does not reach Redis",
];

impl World {
    pub(super) fn fault(&mut self) {
        let number = self.chance.below(REPLICAS);
        let fault = match self.chance.below(9) {
            8 if self.is_lossy => 9,
            8 => 7,
            7 if self.is_lossy => 8,
            7 => 7,
            6 if !self.is_lossy => 8,
            fault => fault,
        };
        self.tell(FAULTS[fault]);
        match fault {
            0 => self.kill(number),
            1 => self.replicas[number].stopped_until_ms = self.now_ms + self.chance.between(100, 40_000),
            2 => self.restart_redis(Data::default()),
            3 => {
                // Again when it was rebuilt and is about to be trusted.
                self.restart_redis(Data::default());
                self.restarts_again = true;
            }
            4 => {
                // An old file.
                let old = self.redis.data.clone();
                self.soon(300_000, Event::End(End::Restore(old)));
            }
            5 => {
                // A replica of the server that lacked the last moments.
                let behind = self.redis.data.clone();
                self.soon(1_500, Event::End(End::Restore(behind)));
            }
            6 => {
                self.redis.is_up = false;
                self.soon(90_000, Event::End(End::RedisAway));
            }
            7 => {
                self.rows.is_up = false;
                self.rows.locked_by = None;
                self.soon(90_000, Event::End(End::PostgresAway));
            }
            9 => self.replicas[number].cut_off_until_ms = self.now_ms + self.chance.between(1_000, 120_000),
            _ => self.redis.ahead_ms = self.chance.between(-3_600_000, 3_600_000),
        }
    }

    pub(super) fn tell(&mut self, what: &str) {
        self.told.push(format!("{:>9} ms  {what}", self.now_ms - START_MS));
    }

    pub(super) fn kill(&mut self, number: usize) {
        // Known not to hold; see the journal's page.
        if self.replicas[number].is_without_journal() || !self.rows.is_up {
            return;
        }
        let generation = self.replicas[number].generation;
        if self.rows.locked_by == Some((number, generation)) {
            self.rows.locked_by = None;
        }
        let off_ms = self.chance.between(-300, 300);
        self.held_up.retain(|call| call.holder != (number, generation));
        self.replicas[number] = Replica::start(generation + 1, self.now_ms, off_ms, self.began);
    }

    pub(super) fn restart_redis(&mut self, data: Data) {
        self.redis.run += 1;
        self.redis.data = data;
    }

    pub(super) fn end(&mut self, end: End) {
        self.tell(match end {
            End::RedisAway => "Redis is back",
            End::PostgresAway => "PostgreSQL is back",
            End::Restore(_) => "Redis restarts with what it had",
        });
        match end {
            End::RedisAway => self.redis.is_up = true,
            End::PostgresAway => self.rows.is_up = true,
            End::Restore(data) => self.restart_redis(data),
        }
    }
}
