import PilotInpainting
import Synchronization

/// The parts of a job whose time is told apart.
public enum JobPhase: String, CaseIterable, Sendable {
    case checking = "reading and checking"
    case prompts = "encoding the prompts"
    case encoding = "encoding the image"
    case preparing = "waiting for all ranks"
    case gradientSteps = "gradient steps"
    case denoisingSteps = "denoising steps"
    case previews = "previews"
    case decoding = "decoding"
    case writing = "writing"
}

/// Where a job's time goes. Each job, and each picture of a job, has its own.
public final class PhaseLedger: Sendable {
    public struct Entry: Sendable {
        public var seconds = 0.0
        public var count = 0
    }

    private let start = ContinuousClock.now
    private let entries = Mutex<[JobPhase: Entry]>([:])

    public init() {}

    public var secondsSinceStart: Double { (ContinuousClock.now - start).inSeconds }

    public func entry(_ phase: JobPhase) -> Entry { entries.withLock { $0[phase] ?? Entry() } }

    /// Runs `body` and counts its time.
    public func measure<Value>(_ phase: JobPhase, _ body: () async throws -> Value) async rethrows -> Value {
        let begin = ContinuousClock.now
        defer { add((ContinuousClock.now - begin).inSeconds, to: phase) }
        return try await body()
    }

    /// Counts what a sampler's run took.
    func add(_ sampled: SampledLatent) {
        add(sampled.secondsWaited, to: .preparing)
        add(sampled.gradientSteps.seconds, to: .gradientSteps, count: sampled.gradientSteps.count)
        add(sampled.denoisingSteps.seconds, to: .denoisingSteps, count: sampled.denoisingSteps.count)
    }

    /// Counts what `other` has counted, too.
    public func add(_ other: PhaseLedger) {
        for (phase, entry) in other.entries.withLock({ $0 }) { add(entry.seconds, to: phase, count: entry.count) }
    }

    private func add(_ seconds: Double, to phase: JobPhase, count: Int = 1) {
        entries.withLock { entries in
            entries[phase, default: Entry()].seconds += seconds
            entries[phase, default: Entry()].count += count
        }
    }
}

extension Duration {
    public var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
