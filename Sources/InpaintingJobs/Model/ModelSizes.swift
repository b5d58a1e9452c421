import DiffusionModels
import Foundation

/// What a model says of the sizes of pictures.
public struct ModelSizes: Equatable, Sendable {
    /// Pixels per cell of the latent, along a side.
    public let factor: Int
    /// Pixels per cell of the UNet's coarsest level, along a side.
    public let coarsestFactor: Int
    /// The side of the square pictures that the model was trained on, if it says so.
    public let trainedSide: Int?

    /// A latent below this side is below what any network was trained on.
    static let fewestCells = 8
    /// Activations of the autoencoder at full resolution take about 1 KiB per pixel and more: 4 GiB and more here.
    static let mostPixels = mostSide * mostSide
    private static let mostSide = 2048
    /// Beyond this many times the pixels of its training, a network composes a picture as if of several.
    private static let farBeyond = 4
    /// How much the logarithm of the pixels' ratio counts against that of the aspects' ratio, when neither can be kept.
    private static let weightOfPixels = 0.25

    public init(factor: Int, coarsestFactor: Int, trainedSide: Int?) {
        self.factor = factor
        self.coarsestFactor = coarsestFactor
        self.trainedSide = trainedSide
    }

    /// Whether a job may have so many pixels.
    static func areAllowed(_ size: PictureSize) -> Bool { !exceeds(size, mostPixels) }

    /// Whether the size is far from what the model knows; never, if the model does not say what it knows.
    func isFarExceeded(by size: PictureSize) -> Bool {
        guard let trainedSide else { return false }
        return Self.exceeds(size, Self.farBeyond * trainedSide * trainedSide)
    }

    /// The size, with sides rounded down to what the autoencoder can do.
    func rounded(_ size: PictureSize) -> PictureSize {
        PictureSize(
            width: max(factor, size.width / factor * factor), height: max(factor, size.height / factor * factor))
    }

    /// A size of about the photograph's aspect, with about as many pixels as the model was trained on, or as there may
    /// be.
    ///
    /// The UNet computes any latent, as diffusers does, but halving an odd side and doubling it again shifts what the
    /// coarse levels see, which no network was trained with: so its coarsest level divides these sides, unless the
    /// model was trained on less. Of such sizes the one is taken whose aspect and pixels come closest together.
    func fitting(_ photograph: PictureSize) -> PictureSize {
        let side = min(Self.mostSide, trainedSide ?? Self.mostSide)
        let unit = coarsestFactor <= side ? coarsestFactor : factor
        let most = min(Self.mostPixels, Self.farBeyond * side * side)
        let least = min(max(unit, Self.fewestCells * factor), max(unit, side / unit * unit))
        let aspect = Double(photograph.width) / Double(photograph.height)

        func distance(_ size: PictureSize) -> Double {
            let (width, height) = (Double(size.width), Double(size.height))
            let pixels = width * height / Double(side * side)
            return abs(log(width / height / aspect)) + Self.weightOfPixels * abs(log(pixels))
        }
        var best = PictureSize(width: least, height: least)
        for height in stride(from: least, through: most / least, by: unit) {
            let widest = most / height / unit * unit
            // Of all widths, only the neighbours of the photograph's aspect can be the closest.
            let below = Int(min(Double(widest), Double(height) * aspect)) / unit * unit
            for width in [below, below + unit] {
                let size = PictureSize(width: min(max(width, least), widest), height: height)
                if distance(size) < distance(best) { best = size }
            }
        }
        return best
    }

    /// Divided, for the product of two hostile sides may not fit.
    private static func exceeds(_ size: PictureSize, _ pixels: Int) -> Bool { size.height > pixels / size.width }
}

extension ModelDescription {
    public var sizes: ModelSizes {
        // Every block of the UNet but the last halves the size.
        ModelSizes(
            factor: factor, coarsestFactor: factor << (unetConfiguration.blockChannels.count - 1),
            trainedSide: unetConfiguration.sampleSize.map { $0 * factor })
    }
}
