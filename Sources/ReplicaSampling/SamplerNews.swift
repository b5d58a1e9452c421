import MessagePassing
import PilotInpainting
import Synchronization

/// What of a sampler's events goes from a driver to rank 0, and when: those that are wanted at once, and how far it is
/// now and then.
final class SamplerNews: Sendable {
    private struct State {
        var told: ContinuousClock.Instant?
        /// The latest gradient step, if it has not been told.
        var held: PilotEvent?
    }

    private let wants: SamplerRun.Wants
    private let pace: ProgressPace
    private let tell: @Sendable ([UInt8]) -> Void
    private let state = Mutex(State())

    /// - Parameter tell: has the bytes of some events.
    init(_ wants: SamplerRun.Wants, pace: ProgressPace, tell: @escaping @Sendable ([UInt8]) -> Void) {
        self.wants = wants
        self.pace = pace
        self.tell = tell
    }

    func observe(_ event: PilotEvent) {
        let events = due(event)
        guard !events.isEmpty else { return }
        var writer = ByteWriter()
        writer.write(events)
        tell(writer.bytes)
    }

    private func due(_ event: PilotEvent) -> [PilotEvent] {
        switch event {
        // Comes with the result.
        case .finalLatent: []
        case .reconstructions: wants.contains(.reconstructions) ? [event] : []
        case .initialLatent, .latent, .optimizedLatent, .noise: wants.contains(.latents) ? [event] : []
        case .stepStarted, .gradientStep, .stepFinished: wants.contains(.latents) ? [event] : paced(event)
        }
    }

    /// A step that begins is no news, but for the first: the one before has ended at the same moment.
    private func paced(_ event: PilotEvent) -> [PilotEvent] {
        if case .stepStarted(let step) = event, step.index > 0 { return [] }
        let now = ContinuousClock.now
        return state.withLock { state in
            if let told = state.told, now - told < pace.interval {
                if case .gradientStep = event { state.held = event }
                return []
            }
            defer { (state.told, state.held) = (now, nil) }
            if case .gradientStep = event { return [event] }
            return [state.held, event].compactMap { $0 }
        }
    }
}
