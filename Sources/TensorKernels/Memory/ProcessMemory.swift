import Foundation

/// What this process takes of the machine's memory.
public struct ProcessMemory: Codable, Sendable, Equatable {
    /// The most that was resident at a time, shared pages counted whole; 0 where the system does not tell.
    public let peakResidentByteCount: Int
    /// What is resident now, a page that n processes map counted as one n-th of it: the figures of several processes
    /// add up to what they take together. Nil where the system does not tell.
    public let proportionalByteCount: Int?

    public init(peakResidentByteCount: Int, proportionalByteCount: Int?) {
        self.peakResidentByteCount = peakResidentByteCount
        self.proportionalByteCount = proportionalByteCount
    }

    /// Walks all pages of the process: milliseconds for each gigabyte.
    public static func current() -> ProcessMemory {
        ProcessMemory(
            peakResidentByteCount: byteCount(of: "VmHWM", in: text("/proc/self/status")) ?? 0,
            proportionalByteCount: byteCount(of: "Pss", in: text("/proc/self/smaps_rollup")))
    }

    /// The figure of the line `name: N kB`, in bytes.
    package static func byteCount(of name: String, in text: String) -> Int? {
        for line in text.split(separator: "\n") where line.hasPrefix("\(name):") {
            let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
            guard let (count, overflow) = kibibytes?.multipliedReportingOverflow(by: 1024) else { return nil }
            return overflow ? nil : count
        }
        return nil
    }

    private static func text(_ path: String) -> String {
        (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    }
}
