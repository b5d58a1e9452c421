import Failures
import ImageFiles

/// Where a photograph is cut so that the networks see its holes and their surroundings.
///
/// A cut has the aspect of the picture that is computed, and as many pixels or more, so that nothing is enlarged; where
/// the photograph ends, it ends, too. The padding around a hole is at least as wide as the blend inside it reaches, so
/// that all kept pixels that count for the blend are in the cut.
package struct CutPlan {
    let photograph: PictureSize
    let model: ModelSizes
    /// What `--size` says.
    let asked: PictureSize?
    let padding: AreaPadding
    let feather: Int

    /// More would be a mask of specks, and hours.
    package static let mostCuts = 64

    package init(
        photograph: PictureSize, model: ModelSizes, asked: PictureSize?, padding: AreaPadding, feather: Int
    ) throws {
        // Sizes that can't be had must not be reckoned with.
        _ = try JobGeometry(photograph: photograph, asked: asked, model: model)
        self.photograph = photograph
        self.model = model
        self.asked = asked
        self.padding = padding
        self.feather = feather
    }

    /// The cuts for a mask of the photograph's size: one around all holes, or one for each that is far from all others.
    /// No two of these overlap.
    ///
    /// - Returns: none for an empty mask.
    /// - Throws: `Failure.badData` when there are too many.
    package func cuts(of mask: BinaryMask, each: Bool) throws -> [PictureCut] {
        guard each else { return mask.hole.map { [cut(around: $0)] } ?? [] }
        let cuts = separate(mask.holes(apart: model.coarsestFactor)).map { cut(around: $0) }
        guard cuts.count <= Self.mostCuts else {
            throw Failure.badData(
                "--area-each: the mask has \(cuts.count) holes that are far apart, and a picture may have "
                    + "\(Self.mostCuts) cuts; a larger --area-padding joins them, and so does leaving --area-each out")
        }
        return cuts
    }

    /// The boxes, joined where their cuts overlap, until none do.
    private func separate(_ holes: [PixelBox]) -> [PixelBox] {
        var apart: [(hole: PixelBox, cut: PixelBox)] = []
        for hole in holes {
            var joined = (hole: hole, cut: cut(around: hole).box)
            while let index = apart.firstIndex(where: { $0.cut.overlaps(joined.cut) }) {
                let hole = joined.hole.union(apart.remove(at: index).hole)
                joined = (hole, cut(around: hole).box)
            }
            apart.append(joined)
        }
        return apart.map(\.hole).sorted {
            ($0.y.lowerBound, $0.x.lowerBound) < ($1.y.lowerBound, $1.x.lowerBound)
        }
    }

    package func cut(around hole: PixelBox) -> PictureCut {
        let width = max(padding.pixels(of: max(hole.x.count, hole.y.count)), feather + 1)
        let seen = hole.padded(by: width, inside: (photograph.width, photograph.height))
        let picture = size(for: seen)
        // The smallest of the picture's aspect that has all of it; a quotient is rounded up.
        func side(_ own: Int, _ seen: Int, _ other: Int, _ otherSeen: Int, most: Int) -> Int {
            min(most, max(own, seen, (own * otherSeen + other - 1) / other))
        }
        let columns = side(picture.width, seen.x.count, picture.height, seen.y.count, most: photograph.width)
        let rows = side(picture.height, seen.y.count, picture.width, seen.x.count, most: photograph.height)
        func start(_ seen: Range<Int>, _ count: Int, most: Int) -> Int {
            min(max(0, seen.lowerBound - (count - seen.count) / 2), most - count)
        }
        return PictureCut(
            x: start(seen.x, columns, most: photograph.width), y: start(seen.y, rows, most: photograph.height),
            width: columns, height: rows, picture: picture)
    }

    /// The size at which the networks see what is in the box: the model's, in its aspect, but no larger than a photograph
    /// that is small itself.
    private func size(for box: PixelBox) -> PictureSize {
        if let asked { return asked }
        let seen = PictureSize(width: box.x.count, height: box.y.count)
        // A model that does not say what it was trained at is given what there is.
        let own = model.rounded(seen)
        let wanted = model.trainedSide == nil && ModelSizes.areAllowed(own) ? own : model.fitting(seen)
        let most = model.rounded(photograph)
        return PictureSize(width: min(wanted.width, most.width), height: min(wanted.height, most.height))
    }
}
