import Failures

/// An IP-Adapter of a job, and the picture that it shows beside the prompt.
public struct IPAdapterSettings: Codable, Equatable, Sendable {
    /// How a picture that is no square becomes one.
    public enum Fit: String, Codable, Sendable, CaseIterable {
        /// Its middle is taken.
        case crop
        /// It is squashed.
        case squash
    }

    /// A file's path.
    public var adapter: String
    /// The picture.
    public var image: String
    public var scale = 1.0
    public var fit = Fit.crop

    public init(adapter: String, image: String) {
        self.adapter = adapter
        self.image = image
    }

    /// - Throws: `Failure.usage` naming the option.
    func validate() throws {
        guard scale.isFinite else {
            throw Failure.usage("--ip-adapter-scale: expected a finite number, found \(scale)")
        }
    }
}
