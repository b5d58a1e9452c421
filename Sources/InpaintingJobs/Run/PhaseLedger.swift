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

    private struct State {
        var entries: [JobPhase: Entry] = [:]
        /// Since when the sampler has been at its present piece of work.
        var mark = ContinuousClock.now
    }

    private let start = ContinuousClock.now
    private let state = Mutex(State())

    public init() {}

    public var secondsSinceStart: Double { (ContinuousClock.now - start).inSeconds }

    public func entry(_ phase: JobPhase) -> Entry { state.withLock { $0.entries[phase] ?? Entry() } }

    /// Runs `body` and counts its time.
    public func measure<Value>(_ phase: JobPhase, _ body: () async throws -> Value) async rethrows -> Value {
        let begin = ContinuousClock.now
        defer { add(ContinuousClock.now - begin, to: phase) }
        return try await body()
    }

    /// Counts the time since the sampler's last event. Events come one at a time, before anything else is done.
    func observe(_ event: PilotEvent) {
        switch event {
        case .gradientStep: addSinceMark(to: .gradientSteps)
        case .stepFinished: addSinceMark(to: .denoisingSteps)
        case .noise: addSinceMark(to: .denoisingSteps, count: 0)
        default: break
        }
    }

    /// The sampler goes on: what observers did meanwhile is not its time.
    func setMark() { state.withLock { $0.mark = .now } }

    /// Counts what `other` has counted, too.
    public func add(_ other: PhaseLedger) {
        let entries = other.state.withLock { $0.entries }
        state.withLock { state in
            for (phase, entry) in entries {
                state.entries[phase, default: Entry()].seconds += entry.seconds
                state.entries[phase, default: Entry()].count += entry.count
            }
        }
    }

    private func addSinceMark(to phase: JobPhase, count: Int = 1) {
        let since = state.withLock { $0.mark }
        add(ContinuousClock.now - since, to: phase, count: count)
    }

    private func add(_ duration: Duration, to phase: JobPhase, count: Int = 1) {
        state.withLock { state in
            state.entries[phase, default: Entry()].seconds += duration.inSeconds
            state.entries[phase, default: Entry()].count += count
        }
    }
}

extension Duration {
    public var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
