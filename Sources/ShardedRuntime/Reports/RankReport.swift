import Failures
import Foundation
import MessagePassing

/// Where a rank's compute thread spent its time, and how many passes it took part in.
public struct PhaseTimes: Sendable, Equatable, Codable {
    public var forwardCount = 0
    public var forwardSeconds = 0.0
    public var backwardCount = 0
    public var backwardSeconds = 0.0
    /// Encoding, decoding and prompts.
    public var pictureSeconds = 0.0
    /// Between the first task's start and the last one's end, the time in which no task ran.
    public var idleSeconds = 0.0

    public init() {}

    public var busySeconds: Double { forwardSeconds + backwardSeconds + pictureSeconds }
}

/// What one rank did, for the job's summary.
public struct RankReport: Sendable, Equatable, Codable {
    public let rank: Int
    public let hostName: String
    public let times: PhaseTimes
    public let traffic: Traffic
    /// Pullbacks that wait to be called or discarded: 0 between the steps of a job.
    public let keptPullbacks: Int
    /// The most memory that the process had resident at once; 0 when the system does not tell.
    public let peakMemoryBytes: Int

    public init(
        rank: Int, hostName: String, times: PhaseTimes, traffic: Traffic, keptPullbacks: Int, peakMemoryBytes: Int
    ) {
        self.rank = rank
        self.hostName = hostName
        self.times = times
        self.traffic = traffic
        self.keptPullbacks = keptPullbacks
        self.peakMemoryBytes = peakMemoryBytes
    }

    func encodedText() throws -> String { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) }

    init(encodedText: String, from source: Int) throws {
        do {
            self = try JSONDecoder().decode(RankReport.self, from: Data(encodedText.utf8))
        } catch {
            throw Failure.internalFault("rank \(source) sent a report that can't be read: \(error)")
        }
    }
}

/// The high-water mark of this process's resident memory.
public enum PeakMemory {
    /// VmHWM of `/proc/self/status`; 0 where there is none.
    public static func bytes() -> Int {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return 0 }
        return bytes(inStatus: status)
    }

    package static func bytes(inStatus status: String) -> Int {
        for line in status.split(separator: "\n") where line.hasPrefix("VmHWM:") {
            let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
            return (kibibytes ?? 0) * 1024
        }
        return 0
    }
}
