import DiffusionModels
import PilotInpainting
import Synchronization
import TensorKernels

/// Collects all that passes through the method in one picture, or in one cut of it, for comparison with another implementation.
///
/// float32, channels first. The noise predictions are the network's outputs, so velocities for a model that predicts
/// them.
final class TensorDump: Sendable {
    private let tensors = Mutex<[StoredTensor]>([])
    private let losses = Mutex<[LossValues]>([])

    private let namesBeginWith: String

    /// - Parameter prefix: what all names begin with.
    init(prefix: String) { namesBeginWith = prefix }

    func add(_ name: String, _ values: [Float], shape: [Int]) {
        tensors.withLock { $0.append(StoredTensor(name: namesBeginWith + name, shape: shape, values: values)) }
    }

    func add(_ name: String, _ latent: Latent) { add(name, latent.values, shape: latent.shape) }

    func observe(_ event: PilotEvent) {
        switch event {
        case .initialLatent(let latent): add("initial_latent", latent)
        case .latent(let step, let latent): add("\(prefix(step)).latent", latent)
        case .gradientStep(_, _, let loss): losses.withLock { $0.append(loss) }
        case .optimizedLatent(let step, let latent):
            let values = losses.withLock { losses in
                defer { losses = [] }
                return losses.flatMap { [Float($0.total), Float($0.background), Float($0.semantic)] }
            }
            add("\(prefix(step)).loss", values, shape: [step.gradientSteps, 3])
            add("\(prefix(step)).optimized_latent", latent)
        case .noise(let step, let unconditional, let conditional):
            add("\(prefix(step)).noise_unconditional", unconditional)
            add("\(prefix(step)).noise_conditional", conditional)
        case .finalLatent(let latent): add("final_latent", latent)
        case .stepStarted, .reconstructions, .stepFinished: break
        }
    }

    /// Writes all of them into one file.
    ///
    /// - Throws: `Failure.inputOutput`.
    static func write(_ dumps: [TensorDump], to path: String) throws {
        try SafetensorsWriter.write(to: path, dumps.flatMap { $0.tensors.withLock { $0 } })
    }

    private func prefix(_ step: PilotStep) -> String { "step." + threeDigits(step.index) }
}

/// The number with zeros before it, so that names come in its order.
func threeDigits(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 3 - digits.count)) + digits
}
