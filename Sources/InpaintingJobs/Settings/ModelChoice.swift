import DiffusionModels
import Failures

/// Which model, as a user says it; the same on every rank.
public struct ModelChoice: Codable, Equatable, Sendable {
    /// A folder's or a single file's path, or the name of the shipped model.
    public var name: String
    /// For a single file: the folder of its configurations; nil for those of its family.
    public var configuration: String?
    /// A folder or file whose autoencoder takes the place of the model's.
    public var autoencoder: String?
    /// What the network predicts; nil for what the model says.
    public var prediction: SchedulerConfiguration.PredictionType?
    /// Which of the text encoder's layers gives the states, counted from the end; nil for 1, the last.
    public var clipSkip: Int?
    /// The ControlNets that act beside the UNet: folders' or files' paths.
    public var controls: [String] = []
    /// The T2I-Adapters, in the same way.
    public var t2iAdapters: [String] = []
    /// The IP-Adapters' files.
    public var ipAdapters: [String] = []
    /// The folder of their image encoder; nil for the one beside them, or in the model.
    public var imageEncoder: String?
    /// What is merged into its weights; nil for nothing.
    public var lora: [LoRAChoice]?

    public init(_ name: String) { self.name = name }

    /// Whether both name the same files.
    func names(_ other: ModelChoice) -> Bool {
        name == other.name && configuration == other.configuration && autoencoder == other.autoencoder
            && lora?.map(\.file) == other.lora?.map(\.file)
    }
}
