import DiffusionModels
import Failures
import MessagePassing
import PilotInpainting
import ShardedRuntime

private enum EventCode: UInt8 {
    case initialLatent = 1
    case stepStarted, latent, gradientStep, optimizedLatent, noise, reconstructions, stepFinished, finalLatent
}

extension ByteWriter {
    /// How many events there are, then the events; of a step its number alone, since both sides have the plan.
    mutating func write(_ events: [PilotEvent]) {
        write(UInt8(clamping: events.count))
        for event in events.prefix(Int(UInt8.max)) { write(event) }
    }

    private mutating func write(_ event: PilotEvent) {
        switch event {
        case .initialLatent(let latent): write(.initialLatent, nil, [latent])
        case .stepStarted(let step): write(.stepStarted, step, [])
        case .latent(let step, let latent): write(.latent, step, [latent])
        case .gradientStep(let step, let number, let loss):
            write(.gradientStep, step, [])
            write(UInt32(clamping: number))
            write(loss)
        case .optimizedLatent(let step, let latent): write(.optimizedLatent, step, [latent])
        case .noise(let step, let unconditional, let conditional):
            write(.noise, step, [unconditional, conditional])
        case .reconstructions(let step, let unconditional, let conditional, let guided):
            write(.reconstructions, step, [unconditional, conditional, guided])
        case .stepFinished(let step): write(.stepFinished, step, [])
        case .finalLatent(let latent): write(.finalLatent, nil, [latent])
        }
    }

    private mutating func write(_ code: EventCode, _ step: PilotStep?, _ latents: [Latent]) {
        write(code.rawValue)
        if let step { write(UInt32(clamping: step.index)) }
        for latent in latents { write(latent) }
    }

    mutating func write(_ loss: LossValues) {
        write(loss.total.bitPattern)
        write(loss.background.bitPattern)
        write(loss.semantic.bitPattern)
    }
}

extension ByteReader {
    /// - Parameter plan: of the run that the events are of.
    mutating func readEvents(of plan: PilotPlan) throws -> [PilotEvent] {
        try (0..<Int(try read(UInt8.self))).map { _ in try readEvent(of: plan) }
    }

    private mutating func readEvent(of plan: PilotPlan) throws -> PilotEvent {
        let number = try read(UInt8.self)
        switch EventCode(rawValue: number) {
        case .initialLatent: return .initialLatent(try readLatent())
        case .stepStarted: return .stepStarted(try readStep(of: plan))
        case .latent: return .latent(try readStep(of: plan), try readLatent())
        case .gradientStep:
            return .gradientStep(
                try readStep(of: plan), number: Int(try read(UInt32.self)), loss: try readLoss())
        case .optimizedLatent: return .optimizedLatent(try readStep(of: plan), try readLatent())
        case .noise:
            return .noise(try readStep(of: plan), unconditional: try readLatent(), conditional: try readLatent())
        case .reconstructions:
            return .reconstructions(
                try readStep(of: plan), unconditional: try readLatent(), conditional: try readLatent(),
                guided: try readLatent())
        case .stepFinished: return .stepFinished(try readStep(of: plan))
        case .finalLatent: return .finalLatent(try readLatent())
        case nil: throw Failure.internalFault("a driver tells of an event of the unknown kind \(number)")
        }
    }

    private mutating func readStep(of plan: PilotPlan) throws -> PilotStep {
        let index = Int(try read(UInt32.self))
        guard plan.steps.indices.contains(index) else {
            throw Failure.internalFault("a driver tells of step \(index) of a job of \(plan.steps.count)")
        }
        return plan.steps[index]
    }

    mutating func readDouble() throws -> Double { Double(bitPattern: try read(UInt64.self)) }

    mutating func readLoss() throws -> LossValues {
        LossValues(total: try readDouble(), background: try readDouble(), semantic: try readDouble())
    }
}
