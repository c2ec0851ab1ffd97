// The order of the answers, free of the page: groups of tied positions, best first, with undo.

export class Order {
  /** `ranks`: Map of position → rank, for those that have one. */
  constructor(positions, ranks = new Map()) {
    this.positions = positions;
    this.load(ranks);
  }

  load(ranks) {
    const groups = new Map();
    for (const [position, rank] of ranks) groups.set(rank, [...(groups.get(rank) ?? []), position]);
    this.tiers = [...groups].sort((a, b) => a[0] - b[0]).map(([, tier]) => tier);
    this.current = null;
    this.tieNext = false;
    /** The last thing done was placing an answer, so that `=` means the next one. */
    this.placing = false;
    this.history = [];
  }

  get unranked() {
    const ranked = new Set(this.tiers.flat());
    return this.positions.filter((position) => !ranked.has(position));
  }

  tierOf(position) {
    return this.tiers.findIndex((tier) => tier.includes(position));
  }

  /** Competition rank: one more than the number of better answers. */
  rank(position) {
    const at = this.tierOf(position);
    return at < 0 ? null : 1 + this.tiers.slice(0, at).flat().length;
  }

  tiedWith(position) {
    return this.tiers[this.tierOf(position)]?.filter((other) => other !== position) ?? [];
  }

  /** Remembers how it was, does it, and drops empty groups. */
  change(action) {
    this.history.push({ tiers: structuredClone(this.tiers), current: this.current, tieNext: this.tieNext, placing: this.placing });
    action();
    this.tiers = this.tiers.filter((tier) => tier.length > 0);
  }

  undo() {
    // The last step was `=`.
    if (this.tieNext) {
      this.tieNext = false;
      return true;
    }
    const before = this.history.pop();
    if (!before) return false;
    Object.assign(this, before);
    return true;
  }

  /** Next in the order, or tied with the last one after `=`. One that is ranked is picked. */
  place(position) {
    if (this.tierOf(position) >= 0) {
      this.picked(position);
      return "picked";
    }
    this.change(() => {
      if (this.tieNext && this.tiers.length > 0) this.tiers.at(-1).push(position);
      else this.tiers.push([position]);
      this.current = position;
      this.tieNext = false;
      this.placing = true;
    });
    return "placed";
  }

  /** Before the next letter: it will tie. On a picked answer: tied with the group above, or untied again. */
  tie() {
    const at = this.current === null ? -1 : this.tierOf(this.current);
    if (at < 0) return "nothing";
    if (this.unranked.length > 0 && at === this.tiers.length - 1 && this.placing) {
      this.tieNext = !this.tieNext;
      return this.tieNext ? "tie-next" : "tie-off";
    }
    const tied = this.tiers[at].length > 1;
    if (!tied && at === 0) return "nothing";
    this.change(() => {
      this.detach(this.current);
      if (tied) this.tiers.splice(at + 1, 0, [this.current]);
      else this.tiers[at - 1].push(this.current);
    });
    return "moved";
  }

  /** One group up (-1) or down (1); an answer that is tied leaves its group first. */
  move(position, direction) {
    const at = this.tierOf(position);
    if (at < 0) return false;
    const tied = this.tiers[at].length > 1;
    const end = direction < 0 ? 0 : this.tiers.length - 1;
    if (!tied && at === end) return false;
    this.change(() => {
      this.detach(position);
      if (tied) this.tiers.splice(direction < 0 ? at : at + 1, 0, [position]);
      else {
        this.tiers.splice(at, 1);
        this.tiers.splice(at + direction, 0, [position]);
      }
      this.picked(position);
    });
    return true;
  }

  /** Its own group before the group `index`. */
  insert(position, index) {
    this.change(() => {
      this.detach(position);
      this.tiers.splice(index, 0, [position]);
      this.picked(position);
    });
  }

  /** Into the group `index`. */
  join(position, index) {
    if (this.tiers[index]?.includes(position)) return;
    this.change(() => {
      this.detach(position);
      this.tiers[index].push(position);
      this.picked(position);
    });
  }

  remove(position) {
    if (this.tierOf(position) < 0) return false;
    this.change(() => {
      this.detach(position);
      this.current = null;
      this.tieNext = false;
      this.placing = false;
    });
    return true;
  }

  /** Takes it out of its group, which may stay behind empty until the change is over. */
  detach(position) {
    this.tiers = this.tiers.map((tier) => tier.filter((other) => other !== position));
  }

  picked(position) {
    this.current = position;
    this.tieNext = false;
    this.placing = false;
  }
}
