/// A model as its files have it, in whatever layout: what a job reads of it.
public protocol ModelFiles: Sendable {
    /// The folder or the file, as messages name the model.
    var path: String { get }
    /// Whether there are weights of a component; those of a folder are looked for when they are asked for.
    func has(_ component: ModelFolder.Component) -> Bool
    /// What says which shape a component has, as messages name it.
    func configurationPath(of component: ModelFolder.Component) -> String
    /// What says how the noise is scheduled, as messages name it.
    var schedulerConfigurationPath: String { get }

    /// - Throws: `Failure` naming file, key, expected and found; so do the others.
    func unetConfiguration() throws -> UNetConfiguration
    func vaeConfiguration() throws -> VAEConfiguration
    func textEncoderConfiguration() throws -> TextEncoderConfiguration
    func schedulerConfiguration() throws -> SchedulerConfiguration
    var tokenizer: TokenizerSource { get }

    /// The component's tensors, mapped and not yet read.
    /// - Throws: `Failure` if they are not there, not whole, or pickle.
    func weights(of component: ModelFolder.Component) throws -> Checkpoint

    /// How many tensors were left out as known to be of no use, by the patterns of their names.
    func uselessKeys() throws -> [String: Int]

    /// All files that a job reads beside those of the weights.
    var descriptionFiles: [String] { get }
}

extension ModelFiles {
    /// The configurations of all three networks, checked against each other too.
    /// - Throws: `Failure` naming file, key, expected and found.
    public func configuration() throws -> ModelConfiguration { try ModelConfiguration(self) }
}
