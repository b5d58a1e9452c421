import Foundation

/// One run of a process on this machine: numbers of processes are used again, so the time of its start is part of it.
struct RunningProcess: Equatable {
    let identifier: Int32
    /// The low half of the start, in clock ticks since the machine's.
    let start: UInt32

    /// The process that runs under `identifier`; nil if there is none any more, or one that has ended and waits for its
    /// parent to ask.
    init?(identifier: Int32) {
        guard let line = try? String(contentsOfFile: "/proc/\(identifier)/stat", encoding: .utf8),
            // The name, in parentheses, may hold anything.
            let end = line.lastIndex(of: ")")
        else { return nil }
        let fields = line[line.index(after: end)...].split(separator: " ")
        guard fields.count > 19, !["Z", "X", "x"].contains(fields[0]), let start = UInt64(fields[19]) else {
            return nil
        }
        self.identifier = identifier
        self.start = UInt32(truncatingIfNeeded: start)
    }

    /// As one word, which is never smaller than 2^32.
    var word: UInt64 { UInt64(UInt32(bitPattern: identifier)) << 32 | UInt64(start) }

    /// Whether the run that `word` stands for still goes on.
    static func isRunning(_ word: UInt64) -> Bool {
        RunningProcess(identifier: identifier(of: word))?.word == word
    }

    static func identifier(of word: UInt64) -> Int32 { Int32(bitPattern: UInt32(word >> 32)) }
}
