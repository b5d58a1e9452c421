import Failures
import Foundation
import MessagePassing
import TensorKernels

/// Where a rank's compute thread spent its time, and how many passes it took part in.
public struct PhaseTimes: Sendable, Equatable, Codable {
    public var forwardCount = 0
    public var forwardSeconds = 0.0
    public var backwardCount = 0
    public var backwardSeconds = 0.0
    /// Encoding, decoding and prompts.
    public var pictureSeconds = 0.0
    /// In which no task ran, and the input of the next one was on its way from another rank; and in which a task waited
    /// for rows of another strip.
    public var communicatingSeconds = 0.0
    /// Since the rank began to serve.
    public var elapsedSeconds = 0.0

    public init() {}

    public var busySeconds: Double { forwardSeconds + backwardSeconds + pictureSeconds }
    /// In which there was nothing to do.
    public var waitingSeconds: Double { max(0, elapsedSeconds - busySeconds - communicatingSeconds) }
}

/// What one rank did, for the job's summary.
public struct RankReport: Sendable, Equatable, Codable {
    public let rank: Int
    public let hostName: String
    public let times: PhaseTimes
    public let traffic: Traffic
    /// Pullbacks that wait to be called or discarded: 0 between the steps of a job.
    public let keptPullbacks: Int
    public let memory: ProcessMemory

    public init(
        rank: Int, hostName: String, times: PhaseTimes, traffic: Traffic, keptPullbacks: Int, memory: ProcessMemory
    ) {
        self.rank = rank
        self.hostName = hostName
        self.times = times
        self.traffic = traffic
        self.keptPullbacks = keptPullbacks
        self.memory = memory
    }

    /// The most memory that the process had resident at once; 0 when the system does not tell.
    public var peakMemoryBytes: Int { memory.peakResidentByteCount }

    func encodedText() throws -> String { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) }

    init(encodedText: String, from source: Int) throws {
        do {
            self = try JSONDecoder().decode(RankReport.self, from: Data(encodedText.utf8))
        } catch {
            throw Failure.internalFault("rank \(source) sent a report that can't be read: \(error)")
        }
    }
}
