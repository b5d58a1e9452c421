import Failures

/// A T2I-Adapter of a job, and what it is given.
public struct T2IAdapterSettings: Codable, Equatable, Sendable {
    /// A folder's or a file's path.
    public var adapter: String
    /// The map, or the picture it is made from; nil for the photograph.
    public var image: String?
    public var scale = 1.0
    public var range = StepRange.all
    public var preprocessing = ControlSettings.Preprocessing.none

    public init(adapter: String) { self.adapter = adapter }

    /// - Throws: `Failure.usage` naming the option.
    func validate() throws {
        guard scale.isFinite else {
            throw Failure.usage("--t2i-adapter-scale: expected a finite number, found \(scale)")
        }
        try range.validate(option: "--t2i-adapter-range")
    }
}
