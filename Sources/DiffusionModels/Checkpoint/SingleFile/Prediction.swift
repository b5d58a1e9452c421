import Failures
import TensorKernels

/// What a model's network predicts, and how that is known.
public struct Prediction: Sendable, Equatable {
    public enum Source: String, Sendable {
        /// The user has said it.
        case option
        /// The scheduler's configuration says it.
        case configuration
        /// The file's metadata says it.
        case metadata
        /// A key that is there for nothing else says it.
        case key
        /// The network was asked.
        case probe
        /// Nothing says it, and the family's models are so.
        case family
    }

    public let type: SchedulerConfiguration.PredictionType
    public let source: Source

    public init(_ type: SchedulerConfiguration.PredictionType, by source: Source) {
        self.type = type
        self.source = source
    }
}

extension Prediction {
    static let typeKey = "modelspec.prediction_type"
    static let architectureKey = "modelspec.architecture"

    /// What a single file says itself; nil if it is silent.
    ///
    /// - Throws: `Failure.badData` for a prediction that is not known.
    init?(statedBy file: SafetensorsFile) throws {
        if let stated = file.metadata[Self.typeKey], !stated.isEmpty {
            self.init(try Self.type(stated, file: file.path), by: .metadata)
        } else if let architecture = file.metadata[Self.architectureKey],
            architecture.hasPrefix(Self.velocityArchitecture) || architecture.hasPrefix(Self.noiseArchitecture)
        {
            self.init(architecture.hasPrefix(Self.velocityArchitecture) ? .velocity : .epsilon, by: .metadata)
        } else if file.tensors["v_pred"] != nil {
            self.init(.velocity, by: .key)
        } else {
            return nil
        }
    }

    static let velocityArchitecture = "stable-diffusion-v2-768-v"
    static let noiseArchitecture = "stable-diffusion-v2-512"

    private static func type(
        _ stated: String, file: String
    ) throws -> SchedulerConfiguration.PredictionType {
        switch stated.lowercased() {
        case "epsilon", "eps": return .epsilon
        case "v", "v_prediction", "v-prediction": return .velocity
        case "sample": return .sample
        default:
            throw Failure.badData(
                file: file, key: "__metadata__ \(typeKey)", expected: "epsilon or v; --prediction says it instead",
                found: quoted(stated))
        }
    }
}
