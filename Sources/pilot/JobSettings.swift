import Failures
import PilotInpainting

/// Everything that decides what the result's pixels are; it travels in the result's PNG file.
struct JobSettings: Codable, Equatable, Sendable {
    var model: String
    var image: String
    var mask: String
    var prompt: String
    var negativePrompt = ""
    var method = PilotParameters()
    /// Black, and not white, is repainted.
    var invertsMask = false
    /// The size at which the networks see the picture; nil for the image's own.
    var size: PictureSize?
    var pastesKeptPixels = true
    /// Pixels inside the repainted area over which original and result are blended.
    var feather = 4
    var computation = Computation()
    /// A file with the latent to start from.
    var initialLatent: String?

    /// - Throws: `Failure.usage` naming the option.
    func validate() throws {
        do {
            try method.validate()
        } catch let failure as Failure {
            // The method knows its parameters by name; on the command line each is an option of that name.
            throw Failure(failure.kind, "--\(failure.message)")
        }
        // A recorded size may be anything; what is too large for the model is refused once that is known.
        if let size, size.width < 1 || size.height < 1 {
            throw Failure.usage("--size: expected two positive sides, found \(size)")
        }
        guard (0...1024).contains(feather) else {
            throw Failure.usage("--feather: expected 0 to 1024 pixels, found \(feather)")
        }
        guard (1...1024).contains(computation.threads) else {
            throw Failure.usage("--threads: expected 1 to 1024, found \(computation.threads)")
        }
    }
}
