import ArgumentParser
import Failures

/// Width and height in pixels, written `512x384`.
struct PictureSize: Codable, Equatable, Sendable, ExpressibleByArgument, CustomStringConvertible {
    var width: Int
    var height: Int

    var description: String { "\(width)x\(height)" }

    init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }

    init?(argument: String) {
        let sides = argument.lowercased().split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard sides.count == 2, let width = sides[0], let height = sides[1], width > 0, height > 0 else { return nil }
        self.init(width: width, height: height)
    }
}

/// The sizes of one job: of the photograph, of the picture that the networks see, of its latent.
struct JobGeometry: Equatable, Sendable {
    let photograph: PictureSize
    /// Multiples of the autoencoder's factor.
    let picture: PictureSize
    /// Pixels per cell of the latent, along a side.
    let factor: Int
    /// The side of the square pictures that the model was trained on, if it says so.
    let trainedSide: Int?

    var latentHeight: Int { picture.height / factor }
    var latentWidth: Int { picture.width / factor }

    /// A latent below this side is below what any network was trained on.
    private static let fewestCells = 8
    /// Activations of the autoencoder at full resolution take about 1 KiB per pixel and more: 4 GiB and more here.
    private static let mostPixels = 2048 * 2048
    /// From this many times the pixels of its training on, a network composes a picture as if of several.
    private static let farBeyond = 4

    /// - Parameter asked: what `--size` says; without it the photograph's own size, rounded down to the factor.
    /// - Throws: `Failure.usage` naming `--size` when the size can't be had.
    init(photograph: PictureSize, asked: PictureSize?, factor: Int, trainedSide: Int? = nil) throws {
        self.photograph = photograph
        self.factor = factor
        self.trainedSide = trainedSide
        picture = asked ?? Self.rounded(photograph, to: factor)
        if let asked, asked.width % factor != 0 || asked.height % factor != 0 {
            throw Failure.usage(
                "--size: expected multiples of \(factor), the factor of the model's autoencoder, found \(asked); "
                    + "\(Self.rounded(asked, to: factor)) would do")
        }
        // Divided, for the product of two hostile sides may not fit.
        guard picture.height <= Self.mostPixels / picture.width else {
            throw Failure.usage(
                "--size: a job has \(Self.mostPixels) pixels at most (2048x2048), found \(picture); "
                    + "--size \(suggestion) has this image's aspect")
        }
    }

    /// What the user should hear about a size that is allowed but unwise.
    var warning: String? {
        if min(latentHeight, latentWidth) < Self.fewestCells {
            let least = Self.fewestCells * factor
            return
                "the job's size is \(picture), a latent of \(latentWidth)x\(latentHeight): expect little from pictures "
                + "below \(least)x\(least); a larger --size may help"
        }
        if let trainedSide, picture.width * picture.height > Self.farBeyond * trainedSide * trainedSide {
            return
                "the job's size is \(picture), and the model was trained at \(trainedSide)x\(trainedSide): objects may "
                + "be repeated, and time is spent; --size \(suggestion) is nearer to what it knows"
        }
        return nil
    }

    private static func rounded(_ size: PictureSize, to factor: Int) -> PictureSize {
        PictureSize(
            width: max(factor, size.width / factor * factor), height: max(factor, size.height / factor * factor))
    }

    /// A size of the photograph's aspect, with as many pixels as the model was trained on, or as there may be.
    private var suggestion: PictureSize {
        let pixels = min(Self.mostPixels, trainedSide.map { $0 * $0 } ?? Self.mostPixels)
        let scale = (Double(pixels) / (Double(photograph.width) * Double(photograph.height))).squareRoot()
        func side(_ length: Int) -> Int { min(pixels / factor, max(1, Int(Double(length) * scale))) }
        return Self.rounded(
            PictureSize(width: side(photograph.width), height: side(photograph.height)), to: factor)
    }
}
